"""The tab "Objects" of nerfstudio's viewer: widgets, and the session behind them that knows no widgets."""
