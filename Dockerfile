# The operator's image: Mixserve at the locked versions, without the embedded cluster's extras. `make image` builds it.
FROM python:3.13-slim AS build
ARG UV_VERSION=0.13.8
WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE requirements.lock ./
COPY operator operator
RUN python3 -m venv /opt/tools && /opt/tools/bin/pip install --quiet "uv==${UV_VERSION}"
RUN python3 -m venv --without-pip /opt/mixserve && \
    /opt/tools/bin/uv pip install --quiet --python /opt/mixserve --link-mode copy --compile-bytecode \
    --constraints requirements.lock .

FROM python:3.13-slim
COPY --from=build /opt/mixserve /opt/mixserve
ENV PATH=/opt/mixserve/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
CMD ["mixserve", "operator", "run"]
