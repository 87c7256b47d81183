"""One file per action: params, title, handler."""
