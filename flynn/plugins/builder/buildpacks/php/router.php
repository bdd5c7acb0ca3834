<?php
// What PHP's own server shows of a directory: not what is for the build alone, nor names that begin with a dot.
$path = rawurldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?? '/');
if (preg_match('~(^|/)(\.|vendor/|composer\.(json|lock)$|Procfile$|flynn\.(json|toml)$)~', ltrim($path, '/'))) {
    http_response_code(404);
    echo "There is nothing here.\n";
    return true;
}
return false;
