package signature

// compiler makes a Scheme of a Spec in ordered steps. Each step may rely on
// what those before it have checked. After the last step nothing writes to the
// scheme.
type compiler struct {
	spec   Spec
	scheme *Scheme
}
