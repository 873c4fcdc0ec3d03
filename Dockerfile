# The images. `agent` is the agent; `browser` is the agent with Debian's Chromium, for probes in a browser.
# `make image` builds the wheel first and then both. Neither needs a shell to run, and nothing is written to the root.
#
# The base is Debian's: its Python and its Chromium are those that are tested (docs/decisions/0006).
ARG BASE=docker.io/library/debian:bookworm-20260824-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171

# hadolint ignore=DL3006
FROM ${BASE} AS common
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3 tini \
 && rm -rf /var/lib/apt/lists/*
ARG BASE
LABEL org.opencontainers.image.title="quaywatch" \
      org.opencontainers.image.description="Observability agent and synthetic transaction monitor for Odoo in logistics" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}"
ENV PATH=/opt/quaywatch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
EXPOSE 9464
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["quaywatch", "health"]
ENTRYPOINT ["tini", "--", "quaywatch"]
CMD ["run", "--config", "/etc/quaywatch/quaywatch.yaml"]

# The environment is made at the path that it has in the images, with its bytecode, since no start may write it: with an
# epoch it is checked by the sources' content, and holds whatever time the files get.
FROM common AS installer
ENV SOURCE_DATE_EPOCH=0
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
RUN python3 -m venv /opt/quaywatch
COPY locks/runtime.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r runtime.txt

FROM installer AS packages
RUN pip uninstall --yes --quiet pip setuptools

FROM installer AS browser-packages
COPY locks/browser.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r browser.txt \
 && pip uninstall --yes --quiet pip setuptools

# Our own part, by itself: all that differs from one version to the next is one small layer.
FROM installer AS own
COPY dist/*.whl ./
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --prefix /own ./*.whl

FROM common AS agent-base
COPY --from=packages /opt/quaywatch /opt/quaywatch

# Chromium without its windows. What a page without a screen never opens stays out: drivers of graphics cards with the
# compiler that they bring, a debugging layer, icons. Playwright needs libatomic.
FROM common AS browser-base
COPY deploy/image/unneeded /etc/dpkg/dpkg.cfg.d/unneeded
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      chromium-headless-shell libatomic1 libnss3-tools \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s /usr/lib/chromium/chromium-headless-shell /usr/bin/chromium
COPY --from=browser-packages /opt/quaywatch /opt/quaywatch

FROM browser-base AS browser
COPY --from=own /own /opt/quaywatch
RUN --mount=type=bind,source=deploy/image/sbom.py,target=/sbom.py \
    ["python", "/sbom.py", "/usr/share/sbom/quaywatch.cdx.json"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
USER 65532:65532

# The last one is what is built when nobody says which.
FROM agent-base AS agent
COPY --from=own /own /opt/quaywatch
RUN --mount=type=bind,source=deploy/image/sbom.py,target=/sbom.py \
    ["python", "/sbom.py", "/usr/share/sbom/quaywatch.cdx.json"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
USER 65532:65532
