module github.com/webhookguard/caddy-webhook-guard/site

go 1.26.0

require github.com/yuin/goldmark v1.8.6 // makes HTML of the documents
