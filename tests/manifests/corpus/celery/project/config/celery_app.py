from celery import Celery

app = Celery("shelf")
