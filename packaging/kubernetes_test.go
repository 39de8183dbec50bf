package packaging_test

import (
	"errors"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const manifests = "kubernetes/webhook-guard.yaml"

// cluster is what the manifests describe.
type cluster struct {
	config  corev1.ConfigMap
	gateway appsv1.Deployment
	service corev1.Service
	budget  policyv1.PodDisruptionBudget
	policy  networkingv1.NetworkPolicy
}

// manifestsOf reads the manifests into Kubernetes' own types. A field that these do not have
// is an error, as it is for an API server that validates strictly.
func manifestsOf(t *testing.T, text string) (c cluster, err error) {
	t.Helper()
	into := map[string]any{
		"ConfigMap": &c.config, "Deployment": &c.gateway, "Service": &c.service,
		"PodDisruptionBudget": &c.budget, "NetworkPolicy": &c.policy,
	}
	for document := range strings.SplitSeq(text, "\n---\n") {
		var kind struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			return c, err
		}
		target, ok := into[kind.Kind]
		if !ok {
			t.Fatalf("a manifest is a second or an unknown %q", kind.Kind)
		}
		text, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			return c, err
		}
		unknown, err := json.UnmarshalStrict(text, target)
		if err := errors.Join(append(unknown, err)...); err != nil {
			return c, err
		}
		delete(into, kind.Kind)
	}
	for kind := range into {
		t.Errorf("%s has no %s", manifests, kind)
	}
	return c, nil
}

func TestKubernetesManifests(t *testing.T) {
	c, err := manifestsOf(t, read(t, manifests))
	if err != nil {
		t.Fatal(err)
	}
	pod := c.gateway.Spec.Template
	for of, selector := range map[string]map[string]string{
		"deployment": c.gateway.Spec.Selector.MatchLabels, "service": c.service.Spec.Selector,
		"budget": c.budget.Spec.Selector.MatchLabels, "policy": c.policy.Spec.Ingress[0].From[0].PodSelector.MatchLabels,
	} {
		if !maps.Equal(selector, pod.Labels) {
			t.Errorf("the %s selects %v, and the pods have %v", of, selector, pod.Labels)
		}
	}
	container := pod.Spec.Containers[0]
	ports := make(map[string]int32)
	for _, p := range container.Ports {
		ports[p.Name] = p.ContainerPort
	}
	if target := c.service.Spec.Ports[0].TargetPort.StrVal; ports[target] == 0 {
		t.Errorf("the service leads to the port %q, which the pod does not have", target)
	}
	for name, probe := range map[string]*corev1.Probe{"startup": container.StartupProbe, "readiness": container.ReadinessProbe, "liveness": container.LivenessProbe} {
		if probe == nil || ports[probe.HTTPGet.Port.StrVal] == 0 {
			t.Errorf("the %s probe asks a port that the pod does not have", name)
		}
	}
	if s := container.SecurityContext; !*pod.Spec.SecurityContext.RunAsNonRoot || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation {
		t.Error("the pod may do more than it needs")
	}
	if grace := *pod.Spec.TerminationGracePeriodSeconds; grace <= 300+container.Lifecycle.PreStop.Sleep.Seconds {
		t.Errorf("the pod is killed after %d s, and an app may work for five minutes", grace)
	}
	mounted := make(map[string]bool)
	for _, m := range container.VolumeMounts {
		mounted[m.Name] = true
	}
	for _, v := range pod.Spec.Volumes {
		if !mounted[v.Name] {
			t.Errorf("the volume %s is not mounted", v.Name)
		}
	}
}

// A field that is misspelt is told, so the check above can fail.
func TestKubernetesManifestsAreReadStrictly(t *testing.T) {
	for right, wrong := range map[string]string{"runAsNonRoot:": "runAsNonroot:", "replicas: 2": "replicas: two"} {
		text := strings.Replace(read(t, manifests), right, wrong, 1)
		if _, err := manifestsOf(t, text); err == nil {
			t.Errorf("%s is accepted", wrong)
		}
	}
}

var secretKey = regexp.MustCompile(`--from-literal=(\w+)=`)

// A gateway with the Caddyfile of the manifests starts with the secret that they ask for, and
// answers its probes before any sender.
func TestTheCaddyfileOfTheManifestsServes(t *testing.T) {
	text := read(t, manifests)
	c, err := manifestsOf(t, text)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{}
	for _, found := range secretKey.FindAllStringSubmatch(text, -1) {
		value := "a-secret-of-sixteen-bytes"
		if found[1] == "REDIS_URL" {
			value = testbed.StartRedis(t).URL()
		}
		env = append(env, found[1]+"="+value)
	}
	if len(env) < 2 {
		t.Fatal("the manifests do not say how to make their secret")
	}
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer { return testbed.Answer{} })
	public, internal := testbed.FreePort(t), testbed.FreePort(t)
	caddyfile := strings.NewReplacer(
		"http://:8080", "http://:"+strconv.Itoa(public), "http://:8081", "http://:"+strconv.Itoa(internal), "app:5000", app.Addr(),
	).Replace(c.config.Data["Caddyfile"])
	g := testbed.StartGateway(t, caddyfile, testbed.WithPort(public), testbed.WithEnv(env...))
	inside := "http://127.0.0.1:" + strconv.Itoa(internal)
	probe := c.gateway.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet.Path
	if got := testbed.Do(t, request(t, inside+probe)); got.Status != http.StatusOK {
		t.Errorf("the probe got %s", got)
	}
	if got := testbed.Do(t, request(t, inside+"/metrics")); got.Status != http.StatusOK || !strings.Contains(string(got.Body), "webhook_guard_requests_total") {
		t.Errorf("a scrape got %s", got)
	}
	if got := testbed.Do(t, request(t, g.URL(probe))); got.Status != http.StatusNotFound {
		t.Errorf("a stranger's probe got %s", got)
	}
	out, err := testbed.RunCaddy(t, env, "webhook-guard", "send", "stripe", g.URL("/webhooks/stripe"), "--secret-env", "STRIPE_SECRET")
	if err != nil || !strings.Contains(out, "200 forwarded") {
		t.Errorf("an event: %v\n%s", err, out)
	}
}
