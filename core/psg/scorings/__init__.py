"""The formats of scorings, a file each, and what they have in common: terms and alignment by clock."""
