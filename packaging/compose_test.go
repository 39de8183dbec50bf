package packaging_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// composed is compose.yaml, as Docker Compose reads it.
func composed(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../compose.yaml"}, cli.WithName("webhook-guard"), cli.WithoutEnvironmentResolution)
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func service(t *testing.T, p *types.Project, name string) types.ServiceConfig {
	t.Helper()
	s, err := p.GetService(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What compose.yaml builds and mounts is there, the app is behind the gateway, and everybody
// has the time to end properly.
func TestCompose(t *testing.T) {
	project := composed(t)
	for name, s := range project.Services {
		if s.Build == nil && !strings.Contains(s.Image, ":") {
			t.Errorf("%s: the image %s states no version", name, s.Image)
		}
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Error(err)
			}
		}
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Error(err)
			}
		}
	}
	gateway, app := service(t, project, "gateway"), service(t, project, "app")
	// With another's network it would have none once that one has been started again.
	if app.NetworkMode != "" || len(app.Ports) > 0 || len(app.Networks) != 1 {
		t.Errorf("the app has the network %q, %v and the ports %v: it must be reached through the gateway alone", app.NetworkMode, app.Networks, app.Ports)
	}
	for name, s := range project.Services {
		for network := range app.Networks {
			if _, shared := s.Networks[network]; shared != (name == "app" || name == "gateway") {
				t.Errorf("%s is in the app's network: %t", name, shared)
			}
		}
	}
	if host := gateway.Environment["APP_HOST"]; host == nil || *host != app.Name {
		t.Errorf("the gateway looks for the app at %v, and its name is %s", host, app.Name)
	}
	if grace := time.Duration(*gateway.StopGracePeriod); grace <= 5*time.Minute {
		t.Errorf("the gateway is killed after %s, and an app may work for five minutes", grace)
	}
	caddyfile := read(t, "../examples/flask/Caddyfile")
	for _, found := range regexp.MustCompile(`\{env\.(\w+)\}`).FindAllStringSubmatch(caddyfile, -1) {
		if v := gateway.Environment[found[1]]; v == nil || *v == "" {
			t.Errorf("the gateway lacks %s, which its Caddyfile reads", found[1])
		}
	}
}

var hostname = regexp.MustCompile(`//[a-z]+:\d+`)

// The gateway, the app and the Redis of compose.yaml work together, with the settings that
// stand there, as processes of this machine; and so does the command in its comment.
func TestWhatComposeStartsWorks(t *testing.T) {
	project := composed(t)
	gateway, redis := service(t, project, "gateway"), service(t, project, "redis")
	if len(redis.Command) == 0 || redis.Command[0] != "redis-server" {
		t.Fatalf("the Redis runs %q", redis.Command)
	}
	server := testbed.StartRedis(t, redis.Command[1:]...)
	// What listens on all addresses has this one too; on 127.0.0.1 alone it has not.
	const elsewhere = "127.0.0.2"
	app := testbed.StartFlask(t, "LISTEN_HOST="+*service(t, project, "app").Environment["LISTEN_HOST"])
	port := testbed.FreePort(t)
	env := []string{"SITE_ADDRESS=http://127.0.0.1:" + strconv.Itoa(port)}
	for name, value := range gateway.Environment {
		switch name {
		case "REDIS_URL":
			env = append(env, name+"="+hostname.ReplaceAllString(*value, "//"+server.Addr()))
		case "APP_HOST":
			env = append(env, name+"="+elsewhere)
		case "APP_PORT":
			env = append(env, name+"="+strconv.Itoa(app.Port()))
		default:
			env = append(env, name+"="+*value)
		}
	}
	g := testbed.StartGateway(t, read(t, "../examples/flask/Caddyfile"), testbed.WithPort(port), testbed.WithEnv(env...))
	if got := testbed.Do(t, request(t, g.URL("/elsewhere"))); got.Status != http.StatusNotFound {
		t.Errorf("another path got %s", got)
	}

	command := regexp.MustCompile(`docker compose exec gateway caddy (.+)`).FindStringSubmatch(read(t, "../compose.yaml"))
	if command == nil {
		t.Fatal("compose.yaml shows no command")
	}
	args := strings.Fields(strings.ReplaceAll(command[1], "http://localhost:8080", g.URL("")))
	out, err := testbed.RunCaddy(t, env, args...)
	if err != nil || !strings.Contains(out, "204 forwarded") {
		t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	app.WaitHandled(1)
	if got := app.Handled(); len(got) != 1 || !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, "handled struktr ") }) {
		t.Errorf("the app handled %q", got)
	}
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
