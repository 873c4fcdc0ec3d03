# The agent's image. `make image` builds the wheel first and then this file.
# The base is Debian's: its Python is the one that is tested. Give BASE a digest to pin it.
ARG BASE=docker.io/library/debian:bookworm-slim

# hadolint ignore=DL3006
FROM ${BASE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
RUN python3 -m venv /opt/quaywatch
COPY locks/runtime.txt ./
RUN /opt/quaywatch/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r runtime.txt
COPY dist/*.whl ./
RUN /opt/quaywatch/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps ./*.whl \
 && /opt/quaywatch/bin/pip uninstall --yes --quiet pip setuptools \
 && find /opt/quaywatch -type d -name __pycache__ -prune -exec rm -rf {} +

# hadolint ignore=DL3006
FROM ${BASE} AS agent
LABEL org.opencontainers.image.title="quaywatch" \
      org.opencontainers.image.description="Observability agent and synthetic transaction monitor for Odoo in logistics" \
      org.opencontainers.image.licenses="Apache-2.0"
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3 tini \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/quaywatch /opt/quaywatch
ENV PATH=/opt/quaywatch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 9464
ENTRYPOINT ["tini", "--", "quaywatch"]
CMD ["run", "--config", "/etc/quaywatch/quaywatch.yaml"]
