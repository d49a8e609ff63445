#!/bin/sh
# Once, on an empty database: its owner, who migrates; the application, which owns nothing; and a login that may only read
# what Grafana shows. None of them is a superuser.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  -v owner_password="$LOTWISE_OWNER_PASSWORD" -v app_password="$LOTWISE_DATABASE_PASSWORD" \
  -v reader_password="$LOTWISE_READER_PASSWORD" <<'SQL'
CREATE ROLE lotwise_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
CREATE ROLE lotwise_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'app_password';
CREATE ROLE lotwise_reader NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE ROLE lotwise_grafana LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE IN ROLE lotwise_reader
  PASSWORD :'reader_password';
ALTER ROLE lotwise_grafana SET default_transaction_read_only = on;
ALTER ROLE lotwise_grafana SET statement_timeout = '15s';
CREATE DATABASE lotwise OWNER lotwise_owner;
REVOKE ALL ON DATABASE lotwise FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE lotwise TO lotwise_app;
GRANT CONNECT ON DATABASE lotwise TO lotwise_grafana;
SQL
