module github.com/webhookguard/caddy-webhook-guard/test/browser

go 1.26.0

require (
	github.com/chromedp/cdproto v0.159.0 // the commands that chromedp sends
	github.com/chromedp/chromedp v0.23.0 // drives Chromium
	github.com/webhookguard/caddy-webhook-guard v0.0.0
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/webhookguard/caddy-webhook-guard => ../..
