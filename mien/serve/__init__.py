"""The local service: pages in a browser, and the programs behind them."""
