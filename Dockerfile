# Everything in one image: two stages, no root, a manifest that was verified when it was built.
#
#   docker build -t oneiric --build-arg MANIFEST=docs/sample_remote_manifest.yaml .
#
# MANIFEST is what is baked in, CONFIG the configuration, EXTRAS such as [redis].

FROM python:3.13-slim-trixie AS build

SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY oneiric ./oneiric
ARG EXTRAS=""
RUN python -m venv /opt/oneiric \
 && /opt/oneiric/bin/pip install --constraint constraints.txt ".${EXTRAS}"

WORKDIR /workspace
ARG CONFIG=deploy/serverless.toml
ARG MANIFEST=docs/sample_remote_manifest.yaml
COPY ${CONFIG} ./oneiric.toml
COPY ${MANIFEST} ./manifest/
ENV PATH=/opt/oneiric/bin:$PATH ONEIRIC_PROFILE=serverless
RUN oneiric manifest lint manifest/* \
 && mkdir build \
 && oneiric manifest pack --input manifest/* --output build/serverless_manifest.json \
 && rm -r manifest \
 && oneiric health --probe --manifest build/serverless_manifest.json --json \
 && rm -rf .oneiric_cache

FROM python:3.13-slim-trixie

ENV PATH=/opt/oneiric/bin:$PATH \
    ONEIRIC_PROFILE=serverless \
    PORT=8080 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

COPY --from=build /opt/oneiric /opt/oneiric
COPY --from=build /workspace /workspace
WORKDIR /workspace
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin oneiric \
 && install --directory --owner=oneiric --group=oneiric --mode=0700 .oneiric_cache

USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/readyz', timeout=4)"]

CMD ["sh", "-c", "exec oneiric orchestrate --no-remote --manifest build/serverless_manifest.json --http-host 0.0.0.0 --http-port \"$PORT\" --health-path /tmp/runtime_health.json"]
