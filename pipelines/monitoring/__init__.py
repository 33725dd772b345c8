"""Monitoring: is what the model meets still what it learnt from, and are its answers still right?"""
