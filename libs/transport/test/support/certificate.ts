/** A self-signed certificate for localhost and 127.0.0.1, valid for a hundred years, for tests alone. */
export const certificate = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUIN0uotrBri5/2wOQYlq2w0WfF7swCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzIyMTcyOFoYDzIxMjYxMDMw
MjIxNzI4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASix+16hQwdwokRQtR/ZlzjdauYxJ0tOpEoFh7FHiUxvZSCvjRad7XZ
tGr9QU0JpYTgQraifyxLHKigMvmtOSLMo28wbTAdBgNVHQ4EFgQUEGkkI5VMgyWN
ssXrj2w9UV6TLJcwHwYDVR0jBBgwFoAUEGkkI5VMgyWNssXrj2w9UV6TLJcwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIgDjWjrahpI/v1sABAcS6W4rREV+nW26FYHy0L5Lv2xJQCIQCT
SsvA9pj3eaMxbuBhAOuUb9094EEk1E4w7x1R3FkloQ==
-----END CERTIFICATE-----
`;

/** Its key: no secret. */
export const certificateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9UWBiljZHzbHtJqb
MX1nAtW6b4fw16UCpGC5gGYNjpqhRANCAASix+16hQwdwokRQtR/ZlzjdauYxJ0t
OpEoFh7FHiUxvZSCvjRad7XZtGr9QU0JpYTgQraifyxLHKigMvmtOSLM
-----END PRIVATE KEY-----
`;
