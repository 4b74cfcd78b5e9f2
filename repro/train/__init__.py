"""The training engine: one loop for every method.

``step`` is one update of a method's terms, ``execution`` makes it fit the device, ``loop`` repeats it with
validation, logs and checkpoints, ``run`` prepares everything for it.
"""
