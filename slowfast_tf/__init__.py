from .models.slowfast import SlowFast
