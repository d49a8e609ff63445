#!/bin/bash
# Once, when InfluxDB is set up: a user for InfluxQL who may read the bucket and nothing else (Grafana's).
set -eu
influx v1 auth create --username lotwise_grafana --password "$LOTWISE_READER_PASSWORD" \
  --read-bucket "$DOCKER_INFLUXDB_INIT_BUCKET_ID" --org "$DOCKER_INFLUXDB_INIT_ORG"
influx v1 dbrp create --db "$DOCKER_INFLUXDB_INIT_BUCKET" --rp autogen --default \
  --bucket-id "$DOCKER_INFLUXDB_INIT_BUCKET_ID" --org "$DOCKER_INFLUXDB_INIT_ORG"
