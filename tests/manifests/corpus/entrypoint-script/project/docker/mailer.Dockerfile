FROM python:3.12-slim
WORKDIR /srv/wiki
COPY wiki wiki
CMD python3 -m wiki.mailer --from "wiki@$DOMAIN" \
    && echo done
