# The README's installation in an image: for KubeRay (jobs/rayjob.yaml) and for `docker run`.
#   docker build -t austicker .                     # --build-arg TORCH=cuda for NVIDIA GPUs
#   docker run --rm --shm-size=2g -v "$PWD/runs:/austicker/runs" austicker submit jobs/demo.toml
FROM python:3.11-slim-bookworm

# cpu or cuda, as in `make demo TORCH=cuda`.
ARG TORCH=cpu
# An image is built where no driver is, and torch for CUDA would silently be the CPU's: the oldest driver to run on.
ARG UV_CUDA_DRIVER_VERSION=580.65.06

# libgl1 and libglib2.0-0 are what OpenCV loads; KubeRay before 1.6 probes its pods with wget.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 make wget \
    && rm -rf /var/lib/apt/lists/*

# A number, because Kubernetes can only see from a number that a user is not root.
RUN useradd --create-home --home-dir /austicker --shell /bin/bash --uid 1000 austicker
USER 1000:1000
WORKDIR /austicker
COPY --chown=1000:1000 . .
RUN make ".venv/installed-$TORCH" TORCH="$TORCH"
RUN sh tools/install-recognisers

# KubeRay replaces the entrypoint by /bin/bash and calls plain `ray`.
ENV PATH="/austicker/.venv/bin:$PATH" RAY_USAGE_STATS_ENABLED=0
ENTRYPOINT ["austicker-grid"]
CMD ["--help"]
