# syntax=docker/dockerfile:1
# One file, all images of ours. `docker compose build` builds the targets core, ingest, edge, simulators, tool and nats.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG NATS_IMAGE=nats:2.15-alpine

# -- what is installed: exactly the lock file, nothing for development ----------------------------------------------
FROM ${PYTHON_IMAGE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/lotwise/.venv
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
# the dependencies alone first: they change seldom
COPY pyproject.toml uv.lock README.md ./
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --no-dev --no-install-project
COPY core core
COPY dashboards dashboards
COPY edge edge
COPY lotwise lotwise
COPY simulators simulators
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --no-dev --no-editable

# -- what runs: no compiler, no package manager's cache, nobody's root ----------------------------------------------
FROM ${PYTHON_IMAGE} AS runtime
RUN groupadd --gid 10001 lotwise \
 && useradd --uid 10001 --gid lotwise --no-create-home --home-dir /var/lib/lotwise --shell /usr/sbin/nologin lotwise \
 && install -d -o lotwise -g lotwise -m 0750 /var/lib/lotwise /etc/lotwise
COPY --from=build /opt/lotwise/.venv /opt/lotwise/.venv
COPY --chmod=0555 docker/health.py docker/placeholders.py /opt/lotwise/bin/
ENV PATH=/opt/lotwise/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LOTWISE_DATA_DIR=/var/lib/lotwise
WORKDIR /var/lib/lotwise
USER 10001:10001
# a new named volume takes the folder's owner from here
VOLUME ["/var/lib/lotwise"]
ENTRYPOINT ["lotwise"]

FROM runtime AS core
EXPOSE 8080
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]

FROM runtime AS ingest
CMD ["ingest"]

FROM runtime AS edge
EXPOSE 9180
CMD ["edge", "run", "/etc/lotwise/gateway.yaml"]

FROM runtime AS simulators
CMD ["simulate", "/etc/lotwise/scenario.yaml"]

# migrations, and the check that no secret is a placeholder
FROM runtime AS tool
CMD ["migrate"]

# -- NATS with our configuration, and a folder that somebody other than root can write -------------------------------
FROM ${NATS_IMAGE} AS nats
RUN addgroup -g 10001 nats && adduser -D -H -u 10001 -G nats nats && install -d -o nats -g nats -m 0750 /data
COPY docker/nats/stream.conf docker/nats/cluster.conf docker/nats/users.conf docker/nats/broker.conf /etc/nats/
USER 10001:10001
VOLUME ["/data"]
CMD ["-c", "/etc/nats/stream.conf"]
