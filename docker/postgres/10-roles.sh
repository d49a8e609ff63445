#!/bin/sh
# Once, on an empty database: its owner, who is no superuser, and a login that may only read what Grafana shows.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  -v owner_password="$LOTWISE_DATABASE_PASSWORD" -v reader_password="$LOTWISE_READER_PASSWORD" <<'SQL'
CREATE ROLE lotwise LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
CREATE ROLE lotwise_reader NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE ROLE lotwise_grafana LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE IN ROLE lotwise_reader
  PASSWORD :'reader_password';
ALTER ROLE lotwise_grafana SET default_transaction_read_only = on;
ALTER ROLE lotwise_grafana SET statement_timeout = '15s';
CREATE DATABASE lotwise OWNER lotwise;
REVOKE ALL ON DATABASE lotwise FROM PUBLIC;
GRANT CONNECT ON DATABASE lotwise TO lotwise_grafana;
SQL
