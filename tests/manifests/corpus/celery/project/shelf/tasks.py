from config.celery_app import app


@app.task
def remind() -> None: ...
