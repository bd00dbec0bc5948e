"""Where Nerfstudio's data meets label maps: data parsers, dataset and data manager."""
