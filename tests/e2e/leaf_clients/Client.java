// SPDX-License-Identifier: Apache-2.0

import java.net.Socket;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/** One handshake by Java's own checks, as HttpsURLConnection does it. Arguments: host, port. */
public class Client {
    public static void main(String[] words) throws Exception {
        SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
        int port = Integer.parseInt(words[1]);

        try (Socket below = new Socket("127.0.0.1", port);
                SSLSocket socket = (SSLSocket) factory.createSocket(below, words[0], port, true)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            System.out.println(socket.getSession().getProtocol());
        } catch (SSLException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
    }
}
