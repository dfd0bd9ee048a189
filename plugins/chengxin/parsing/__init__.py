"""Readers, one module a file shape. Use them through chengxin.parsing.reader."""
