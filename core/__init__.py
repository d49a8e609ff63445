"""The core: telemetry words, series, ERP, ingest, web, outbound."""
