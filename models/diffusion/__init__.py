"""Denoising diffusion of any signal: noise schedules, the steps of samplers, and the loop that takes them. No network.

Steps of the noise are numbered 0 … T − 1; the share of signal before step 0 is 1. Networks predict the clean signal.
"""
