"""For Celery's setting `imports`: the worker imports this before it forks, so that its processes have everything."""

from chengxin.orchestration.preload import load

load()
