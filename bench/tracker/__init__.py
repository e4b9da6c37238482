"""Figures of the tracker."""
