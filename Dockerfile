# docker build -t sgmae . && docker run --rm -v "$PWD:/data" sgmae pretrain --data_path photos --output_dir runs/first
FROM debian:12 AS build
COPY . /src
RUN cd /src && SGMAE_ARROW=1 ./dev install /opt/sgmae

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends libheif1 libavif15 libjxl0.7 libopenjp2-7 \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/sgmae /opt/sgmae
ENV PATH=/opt/sgmae/bin:$PATH
WORKDIR /data
ENTRYPOINT ["sgmae"]
