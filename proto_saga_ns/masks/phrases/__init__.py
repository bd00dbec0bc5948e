"""Instances chosen by a phrase: Grounding DINO finds boxes, Segment Anything makes masks of them (extra ``text``)."""
