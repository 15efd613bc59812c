// Copyright (C) the ngx_http_oci_module authors

// Signs and verifies with notation's own library: all of notation but its
// command line.
//
//	notation-go sign REFERENCE KEY CERTIFICATE [tag]
//	notation-go verify REFERENCE CERTIFICATE
//
// tag: the signature is listed under a tag, as for registries that have no
// referrers API.
package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	corex509 "github.com/notaryproject/notation-core-go/x509"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"
)

const envelope = "application/jose+json"

func open(name string) (*remote.Repository, error) {
	r, err := remote.NewRepository(name)
	if err != nil {
		return nil, err
	}
	r.Client = &auth.Client{
		Client: retry.DefaultClient,
		Cache:  auth.NewCache(),
		Header: http.Header{"User-Agent": {"notation/1.3.2"}},
	}
	r.PlainHTTP = true
	return r, nil
}

func sign(ctx context.Context, name, key, cert string, tag bool) error {
	r, err := open(name)
	if err != nil {
		return err
	}
	if tag {
		if err := r.SetReferrersCapability(false); err != nil {
			return err
		}
	}
	s, err := signer.NewGenericSignerFromFiles(key, cert)
	if err != nil {
		return err
	}
	opts := notation.SignOptions{ArtifactReference: name}
	opts.SignatureMediaType = envelope
	desc, err := notation.Sign(ctx, s, registry.NewRepository(r), opts)
	if err == nil {
		fmt.Println(desc.Digest)
	}
	return err
}

// trusted is a trust store of one certificate.
type trusted string

func (t trusted) GetCertificates(ctx context.Context, kind truststore.Type,
	name string) ([]*x509.Certificate, error) {
	return corex509.ReadCertificateFile(string(t))
}

func verify(ctx context.Context, name, cert string) error {
	r, err := open(name)
	if err != nil {
		return err
	}
	policy := &trustpolicy.Document{
		Version: "1.0",
		TrustPolicies: []trustpolicy.TrustPolicy{{
			Name:           "all",
			RegistryScopes: []string{"*"},
			SignatureVerification: trustpolicy.SignatureVerification{
				VerificationLevel: "strict"},
			TrustStores:       []string{"ca:one"},
			TrustedIdentities: []string{"*"},
		}},
	}
	v, err := verifier.New(policy, trusted(cert), nil)
	if err != nil {
		return err
	}
	desc, _, err := notation.Verify(ctx, v, registry.NewRepository(r),
		notation.VerifyOptions{ArtifactReference: name,
			MaxSignatureAttempts: 10})
	if err == nil {
		fmt.Println(desc.Digest)
	}
	return err
}

func main() {
	a := append(os.Args[1:], "", "", "", "", "")
	var err error
	switch a[0] {
	case "sign":
		err = sign(context.Background(), a[1], a[2], a[3], a[4] == "tag")
	case "verify":
		err = verify(context.Background(), a[1], a[2])
	default:
		err = fmt.Errorf("no command %q", a[0])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "notation-go:", err)
		os.Exit(1)
	}
}
