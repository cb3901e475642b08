//go:build tools

// Package tools names the command that the embedded cluster is built from.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
