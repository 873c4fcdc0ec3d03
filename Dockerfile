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

# What the browser target adds: Chromium without its windows. What a page without a screen never opens stays out:
# drivers of graphics cards with the compiler that they bring, a debugging layer, icons. Playwright needs libatomic.
FROM common AS chromium
COPY deploy/image/unneeded /etc/dpkg/dpkg.cfg.d/unneeded
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium-headless-shell libatomic1 libnss3-tools \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s /usr/lib/chromium/chromium-headless-shell /usr/bin/chromium

# Both environments are made at the path that they have in the images, with their bytecode, since no start may write it.
# With an epoch it is checked by the sources' content: it holds whatever time the files get.
FROM common AS environment
ENV SOURCE_DATE_EPOCH=0
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
RUN python3 -m venv /opt/quaywatch
COPY locks/runtime.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r runtime.txt

FROM environment AS agent-environment
COPY dist/*.whl ./
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps ./*.whl \
 && pip uninstall --yes --quiet pip setuptools

FROM environment AS browser-packages
COPY locks/browser.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r browser.txt

FROM browser-packages AS browser-environment
COPY dist/*.whl ./
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps ./*.whl \
 && pip uninstall --yes --quiet pip setuptools

FROM chromium AS browser
COPY --from=browser-environment /opt/quaywatch /opt/quaywatch
RUN --mount=type=bind,source=deploy/image/sbom.py,target=/sbom.py \
    ["python", "/sbom.py", "/usr/share/sbom/quaywatch.cdx.json"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
USER 65532:65532

# The last one is what is built when nobody says which.
FROM common AS agent
COPY --from=agent-environment /opt/quaywatch /opt/quaywatch
RUN --mount=type=bind,source=deploy/image/sbom.py,target=/sbom.py \
    ["python", "/sbom.py", "/usr/share/sbom/quaywatch.cdx.json"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
USER 65532:65532
