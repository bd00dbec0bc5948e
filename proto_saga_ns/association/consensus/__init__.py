"""A second association strategy: masks show the same instance if atoms of Gaussians lie in them together in most views.

No view comes first, so nothing depends on the order of views or of labels.
"""
