"""How telemetry leaves: resource, names, OTLP for all three signals, and the page that is scraped."""
