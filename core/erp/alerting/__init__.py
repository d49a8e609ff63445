"""Who is told of what, when, by which way, and who takes it: routes, rotas, alerts, messages and their deliveries."""
