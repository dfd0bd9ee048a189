"""Readers, one module a file shape. Use them through chengxin.standardise.reader."""
