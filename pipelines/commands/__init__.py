"""Commands of the command line, a module for each noun; `pipelines/__main__.py` registers them."""
