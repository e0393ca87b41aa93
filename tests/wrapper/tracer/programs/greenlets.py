"""Greenlets that leave each other in the middle of frames of two files, by greenlet itself and by gevent."""

# What stands here is strange on purpose.
# ruff: noqa
# fmt: off

import greenlet
import helper


def first():
    helper.between(lambda: two.switch())
    x = 1
    two.switch(x)
    return x


def second(*_):
    one.switch()
    y = helper.used()
    y += 1
    return y


def abandoned():
    try:
        greenlet.getcurrent().parent.switch()
    finally:
        helper.used()


one = greenlet.greenlet(first)
two = greenlet.greenlet(second)
one.switch()
one.switch()
greenlet.greenlet(abandoned).switch()

import gevent
import gevent.event
import gevent.monkey

gevent.monkey.patch_all()
import threading


def waiting(event):
    helper.between(event.wait)
    x = 2
    return x


def setting(event):
    gevent.sleep(0)
    event.set()
    return helper.used()


event = gevent.event.Event()
gevent.joinall([gevent.spawn(waiting, event), gevent.spawn(waiting, event), gevent.spawn(setting, event)])
thread = threading.Thread(target=helper.between, args=(helper.used,))
thread.start()
thread.join()
pool = gevent.get_hub().threadpool
pool.apply(helper.in_pool)
pool.apply(helper.in_pool_again)
assert helper.used() == 2
