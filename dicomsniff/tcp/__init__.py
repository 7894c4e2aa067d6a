"""Frames to ordered bytes."""
