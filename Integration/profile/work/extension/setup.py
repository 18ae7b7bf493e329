from setuptools import Extension, setup

setup(name="sandboxed", version="1.0", ext_modules=[Extension("sandboxed", ["sandboxed.c"])])
