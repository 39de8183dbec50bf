package signature

// compiler makes a Scheme of a Spec, step by step. The order of the steps
// matters: each may rely on what the ones before have checked. Once the last
// has passed, nothing writes to the scheme any more.
type compiler struct {
	spec   Spec
	scheme *Scheme
}
