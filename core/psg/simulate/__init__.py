"""A physiological simulator of polysomnography nights with known truth."""
