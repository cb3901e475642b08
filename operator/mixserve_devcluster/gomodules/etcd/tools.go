//go:build tools

// Package tools names the command that the embedded cluster is built from.
package tools

import _ "go.etcd.io/etcd/server/v3"
