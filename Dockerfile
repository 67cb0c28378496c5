# docker build -t sgmae . && docker run --rm -v "$PWD:/data" sgmae pretrain --data_path photos --output_dir runs/first
FROM debian:12 AS build
COPY . /src
RUN cd /src && ./dev install /opt/sgmae

FROM debian:12-slim
COPY --from=build /opt/sgmae /opt/sgmae
ENV PATH=/opt/sgmae/bin:$PATH
WORKDIR /data
ENTRYPOINT ["sgmae"]
