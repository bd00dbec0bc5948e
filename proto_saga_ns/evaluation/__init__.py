"""Published protocols as pure functions, the folders that they are fed from, data sets, stand-ins and reports."""
