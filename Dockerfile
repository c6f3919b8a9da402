# One image a tier: docker build --build-arg APP=grpc-proxy .
# NODE_IMAGE only runs npm; the image that ships holds the Node that package-lock.json pins.
ARG NODE_IMAGE=node:24-bookworm-slim
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${NODE_IMAGE} AS packages
ARG APP
WORKDIR /edge
COPY . .
RUN test -f "apps/${APP}/src/main.ts" || { echo "APP must name a folder of apps/, not '${APP}'"; exit 1; }
# A download that stalls is not given up by npm: what has come is in its cache the next time.
RUN for try in 1 2 3; do \
      timeout --signal=KILL 240 \
        npm ci --omit=dev --workspace="apps/${APP}" --include-workspace-root --no-audit --no-fund --loglevel=error && break; \
      test $try -lt 3 || exit 1; \
    done \
 && cp node_modules/node-linux-*/bin/node /usr/local/bin/edge-node \
 && rm -rf node_modules/node-* node_modules/.bin tools \
 && find apps -mindepth 1 -maxdepth 1 ! -name "${APP}" -exec rm -rf {} + \
 && find node_modules -xtype l -delete \
 && ln -s "apps/${APP}" app

FROM ${BASE_IMAGE}
# libatomic1: Node 26 is linked against it. ca-certificates: upstreams with public certificates.
RUN apt-get -o Acquire::Retries=5 update \
 && apt-get -o Acquire::Retries=5 install -y --no-install-recommends ca-certificates libatomic1 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
COPY --from=packages /usr/local/bin/edge-node /usr/local/bin/node
COPY --from=packages /edge /edge
ENV NODE_ENV=production
USER 65532:65532
WORKDIR /tmp
# Node is process 1 and handles SIGTERM itself: unready, drain, exit 0.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/node", "/edge/app/src/main.ts"]
CMD ["start"]
