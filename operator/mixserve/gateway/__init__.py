"""The data plane's process, beside Envoy in each pod of a gateway.

Belongs here: watching what the gateway of a namespace has to know, the files that Envoy is configured by, answering
Envoy's questions (ext_proc), scraping engines, and counting what Envoy's access log says. Does not belong here: what is
decided (`route`), and what Envoy's configuration says (`plan/envoy`).
"""
